import { afterAll, beforeAll, expect, test } from "vitest";
import { describeUnless, lackingIf } from "../../../support/unless.ts";
import { enclosure, Hosted, node, noIsolation, noPython, python, usualSituations } from "../hosted.ts";

const lacking = noIsolation ?? noPython ?? lackingIf(process.arch !== "x64", "the calls are known by x86_64's numbers");

/** Makes each call from inside and prints the name of its error, or "ok". Numbers are x86_64's. */
const attempts = `
import ctypes, errno, os, socket, fcntl
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    print(name, 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
def family(name, number, kind=socket.SOCK_STREAM, protocol=0):
    try:
        socket.socket(number, kind, protocol); print(name, 'ok')
    except OSError as error:
        print(name, errno.errorcode[error.errno])
none = ctypes.c_void_p(0)
call('ptrace', 101, 0, 0, 0, 0)
call('process_vm_readv', 310, 1, 0, 0, 0, 0, 0)
call('process_vm_writev', 311, 1, 0, 0, 0, 0, 0)
call('pidfd_getfd', 438, 0, 0, 0)
call('kcmp', 312, 1, 2, 0, 0, 0)
call('keyctl', 250, 0, -3, 1)
call('add_key', 248, b'user', b'x', b'y', 1, -3)
call('request_key', 249, b'user', b'x', none, -3)
call('unshare-user', 272, 0x10000000)
call('unshare-net', 272, 0x40000000)
call('setns', 308, 0, 0)
call('clone-newuser', 56, 0x10000000 | 17, 0, 0, 0, 0)
call('clone3', 435, 0, 0)
call('mount', 165, b'none', b'/tmp', b'tmpfs', 0, 0)
call('umount', 166, b'/tmp', 0)
call('move_mount', 429, 0, b'', 0, b'', 0)
call('open_tree', 428, -100, b'/', 1)
call('fsopen', 430, b'tmpfs', 0)
call('pivot_root', 155, b'/', b'/tmp')
call('chroot', 161, b'/tmp')
call('open_by_handle_at', 304, 0, 0, 0)
call('bpf', 321, 0, 0, 0)
call('perf_event_open', 298, 0, 0, -1, -1, 0)
call('userfaultfd', 323, 0)
call('io_uring_setup', 425, 1, 0)
call('init_module', 175, 0, 0, b'')
call('kexec_load', 246, 0, 0, 0, 0)
call('reboot', 169, 0xfee1dead, 672274793, 0)
call('syslog', 103, 3, 0, 0)
call('clock_settime', 227, 0, 0)
call('mknod-device', 133, b'/tmp/null', 0o020666, 0x103)
call('mbind', 237, 0, 0, 0, 0, 0, 0)
call('personality', 135, 0x0040000)
call('newer-than-known', 600)
call('ioctl-tiocsti', 16, 0, 0x5412, b'x')
call('ioctl-tioclinux', 16, 0, 0x541c, b'x')
family('vsock', 40); family('alg', 38, socket.SOCK_SEQPACKET); family('packet', 17, socket.SOCK_RAW)
family('bluetooth', 31, socket.SOCK_RAW); family('netfilter', 16, socket.SOCK_RAW, 12)
family('raw', 2, socket.SOCK_RAW, 1)
`;

const eperm =
  "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp keyctl add_key request_key unshare-user unshare-net setns clone-newuser mount umount move_mount open_tree fsopen pivot_root chroot open_by_handle_at bpf perf_event_open userfaultfd init_module kexec_load reboot syslog clock_settime mknod-device mbind personality ioctl-tiocsti ioctl-tioclinux raw".split(
    " ",
  );
const enosys = ["clone3", "io_uring_setup", "newer-than-known"];
const eafnosupport = ["vsock", "alg", "packet", "bluetooth", "netfilter"];

describeUnless(lacking).each(usualSituations)("inside a sandbox of a worker that is $title", (situation) => {
  let worker: Hosted;
  beforeAll(async () => {
    worker = await Hosted.start(situation);
  });
  afterAll(() => worker.end());

  const stdoutOf = async (command: readonly string[]): Promise<string> => {
    const [life] = await worker.ask("run", enclosure(command), 1, "");
    expect(life?.stderr).toBe("");
    return life?.stdout ?? "";
  };

  test("every dangerous system call is refused", async () => {
    const answers = Object.fromEntries(
      (await stdoutOf(python(attempts)))
        .trim()
        .split("\n")
        .map((line) => line.split(" ")),
    );
    // gVisor of 2022 refuses everything with one number, and has no clone3.
    const isGvisor = situation.driver === "oci:runsc";
    const expected = Object.fromEntries([
      ...eperm.map((name) => [name, "EPERM"]),
      ...enosys.map((name) => [name, isGvisor && name !== "clone3" ? "EPERM" : "ENOSYS"]),
      ...eafnosupport.map((name) => [name, isGvisor ? "EPERM" : "EAFNOSUPPORT"]),
    ]);
    expect(answers).toEqual(expected);
  });

  test("ordinary Python works: threads, processes, fifos, sockets, subprocesses", async () => {
    const source = `
import concurrent.futures, multiprocessing, os, socket, ssl, sqlite3, subprocess, tempfile
def double(n): return 2 * n
if __name__ == '__main__':
    with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(double, range(10))))
    with multiprocessing.get_context('fork').Pool(2) as pool: print(sum(pool.map(double, range(10))))
    os.mkfifo('/tmp/fifo'); a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))
    server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname()); print('tcp')
    print(subprocess.run(['sh', '-c', 'echo $((6*7))'], capture_output=True, text=True).stdout.strip())
    print(sqlite3.connect('/tmp/db').execute('select 1').fetchone()[0], ssl.OPENSSL_VERSION[:7])`;
    expect(await stdoutOf(python(source))).toBe("90\n90\nb'x'\ntcp\n42\n1 OpenSSL\n");
  });

  test("ordinary Node works: worker threads, child processes, servers, files, crypto, WebAssembly", async () => {
    const source = `(async () => {
      const { Worker } = require("worker_threads"), { execFileSync } = require("child_process"), http = require("http");
      const word = await new Promise((ok) => new Worker("require('worker_threads').parentPort.postMessage('w')", { eval: true }).once("message", ok));
      const child = execFileSync(process.execPath, ["-p", "6*7"]).toString().trim();
      const server = http.createServer((_, res) => res.end("served")).listen(0, "127.0.0.1");
      await new Promise((ok) => server.once("listening", ok));
      const page = await fetch("http://127.0.0.1:" + server.address().port).then((r) => r.text());
      server.close(); server.closeAllConnections();
      await require("fs/promises").writeFile("/tmp/x", "file");
      const key = require("crypto").randomBytes(8).length;
      const wasm = WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      console.log(word, child, page, require("fs").readFileSync("/tmp/x", "utf8"), key, wasm, require("os").hostname());
    })()`;
    expect(await stdoutOf(node(source))).toBe("w 42 served file 8 true sandbox\n");
  });
});
