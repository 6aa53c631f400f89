/**
 * Runs mount and umount from small processes that stay: starting a program from the worker itself holds up everybody for
 * a millisecond or two, and a start from a stem cell has time for little else. What such a start waits for has a process of
 * its own: taking down what another sandbox leaves can take the kernel longer than all of it.
 *
 * Each is made when it is first needed, in the worker's own mounts, and ends with the worker. It is a Perl where the host
 * has one (Debian's always do), because that can ask the kernel itself for the steps that are on a start's path or on every
 * end's; a shell does all of it by starting the programs. And it can keep a mount by a descriptor, which is then in nobody's
 * list: `hide`, `show` and `forget` are its own words, with the path.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** Reads the number of words and the words, one a line; answers with the exit code and what was said, as one line. */
const shellScript = `
while read -r count; do
  set --
  while [ "$count" -gt 0 ]; do IFS= read -r word; set -- "$@" "$word"; count=$((count - 1)); done
  said=$("$@" 2>&1)
  code=$?
  [ -z "$said" ] || said=$(printf %s "$said" | tr '\\n' ' ')
  printf '%s %s\\n' $code "$said"
done
`;

/**
 * The same, but what is `mount -n --bind`, `mount -n --make-shared` and `umount -n` is a system call. 4096 is MS_BIND,
 * 1 << 20 MS_SHARED, 8 UMOUNT_NOFOLLOW. Each word is copied to a plain string before: the kernel is handed its memory.
 *
 * To hide is to take the mount with all below it off whoever receives what is mounted there (MS_REC | MS_PRIVATE, 0x44000), to
 * take a copy of it that is nowhere (open_tree of OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC, 0x88001), and to take it down
 * (MNT_DETACH | UMOUNT_NOFOLLOW, 10). Shown, that copy is moved there (move_mount of MOVE_MOUNT_F_EMPTY_PATH, 4). Both are
 * seen from AT_FDCWD, -100. To forget is to take down what is there, or that copy.
 */
const perlScript = `
use strict;
my ($mount, $umount) = splice @ARGV, 0, 2;
my ($open_tree, $move_mount) = (428, 429);
my %hidden;
$| = 1;
sub change { my ($at, $flags) = @_; my ($none, $type) = ("none", ""); syscall($mount + 0, $none, $at, $type, $flags, $type) != -1 }
sub hide {
  my ($at) = @_;
  change($at, 0x44000) or return 0;
  my $copy = syscall($open_tree, -100, $at, 0x88001);
  $copy != -1 && open(my $kept, "<&=", $copy) or return 0;
  syscall($umount + 0, $at, 10) != -1 or return 0;
  $hidden{$at} = $kept;
  1;
}
sub show {
  my ($at) = @_;
  my $nowhere = "";
  $hidden{$at} or do { $! = 2; return 0; };
  syscall($move_mount, fileno $hidden{$at}, $nowhere, -100, $at, 4) != -1 or return 0;
  delete $hidden{$at};
  1;
}
sub answer { print $_[0] ? "0 \\n" : "32 $!\\n" }
while (defined(my $count = <STDIN>)) {
  my @words = map { my $word = <STDIN>; chomp $word; $word } 1 .. $count;
  my $of = join " ", @words[0 .. ($words[0] eq "mount" ? 2 : 1)];
  if ($of eq "mount -n --bind" && @words == 5) {
    my ($from, $to, $type, $data) = ("$words[3]", "$words[4]", "none", "");
    answer(syscall($mount + 0, $from, $to, $type, 4096, $data) != -1);
  } elsif ($of eq "mount -n --make-shared" && @words == 4) {
    answer(change("$words[3]", 1 << 20));
  } elsif ($of eq "umount -n" && @words == 3) {
    my $at = "$words[2]";
    answer(syscall($umount + 0, $at, 8) != -1);
  } elsif ($words[0] eq "hide" && @words == 2) {
    answer(hide("$words[1]"));
  } elsif ($words[0] eq "show" && @words == 2) {
    answer(show("$words[1]"));
  } elsif ($words[0] eq "forget" && @words == 2) {
    my $at = "$words[1]";
    answer(delete $hidden{$at} || syscall($umount + 0, $at, 10) != -1);
  } else {
    my $pid = open my $said, "-|";
    if (!defined $pid) { print "32 $!\\n"; next; }
    if ($pid == 0) { open STDERR, ">&STDOUT"; exec @words or do { print $!; exit 127; }; }
    my $text = join "", <$said>;
    close $said;
    $text =~ s/\\n/ /g;
    print +($? >> 8 || ($? ? 128 : 0)), " $text\\n";
  }
}
`;

const PERL = "/usr/bin/perl";
/** Of mount and umount2. Source: linux, arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h. */
const SYSTEM_CALLS: Readonly<Record<string, readonly [number, number]>> = { x64: [165, 166], arm64: [40, 39] };

function program(): readonly [string, ...string[]] {
  const calls = SYSTEM_CALLS[process.arch];
  if (calls === undefined || !isExecutable(PERL)) return ["/bin/sh", "-c", shellScript];
  return [PERL, "-e", perlScript, ...calls.map(String)];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether `hide` is understood; an older kernel refuses it all the same. */
export const canHideMounts = program()[0] === PERL;

type Shell = ChildProcessByStdio<Writable, Readable, null>;
type Settle = (answer: string | Error) => void;

/** One after the other. */
interface Running {
  readonly child: Shell;
  readonly waiting: Settle[];
}

const running: { hurried?: Running | undefined; other?: Running | undefined } = {};

/** Runs a command to its end. Rejects with what it said when its exit code isn't 0. */
export const inMounts = (...command: readonly string[]): Promise<void> => runBy("other", command);

/** The same, for what a start waits for: nothing else may be. */
export const inMountsAtOnce = (...command: readonly string[]): Promise<void> => runBy("hurried", command);

async function runBy(which: keyof typeof running, command: readonly string[]): Promise<void> {
  if (command.some((word) => word.includes("\n"))) throw new Error(`a path with a line feed: ${command.join(" ")}`);
  running[which] ??= start(which);
  const { child, waiting } = running[which];
  const answer = await new Promise<string | Error>((resolve) => {
    waiting.push(resolve);
    if (child.pid === undefined) return;
    keepAlive(child, true);
    child.stdin.write(`${command.length}\n${command.join("\n")}\n`);
  });
  if (answer instanceof Error) throw answer;
  if (!answer.startsWith("0 ")) throw new Error(`${command.join(" ")}: ${answer.slice(answer.indexOf(" ") + 1)}`);
}

function start(which: keyof typeof running): Running {
  const [path, ...args] = program();
  const child = spawn(path, args, {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    cwd: "/",
    stdio: ["pipe", "pipe", "ignore"],
    // What ends the worker's process group must not end it before the worker has cleaned up.
    detached: true,
  });
  const waiting: Settle[] = [];
  const ended = () => {
    if (running[which]?.child === child) running[which] = undefined;
    for (const settle of waiting.splice(0)) settle(new Error("the mounting process has ended"));
  };
  child.once("exit", ended);
  child.once("error", ended);
  // Where there can be no process, whoever waits is told so by its error; it may have no channels either.
  if (child.pid === undefined) return { child, waiting };
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (line) => {
    waiting.shift()?.(line);
    if (waiting.length === 0) keepAlive(child, false);
  });
  return { child, waiting };
}

/** While somebody waits, and only then, it keeps this process from ending. */
function keepAlive(child: Shell, isNeeded: boolean): void {
  const streams = [child, child.stdin, child.stdout] as unknown as Array<{ ref?(): void; unref?(): void }>;
  for (const each of streams) {
    if (isNeeded) each.ref?.();
    else each.unref?.();
  }
}
