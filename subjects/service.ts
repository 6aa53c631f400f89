/** The discovery subjects of NATS micro services: of all, of one name, of one instance. Source: NATS ADR-32. */
export const serviceSubjects = (verb: "PING" | "INFO" | "STATS", name: string, id: string): readonly string[] => [
  `$SRV.${verb}`,
  `$SRV.${verb}.${name}`,
  `$SRV.${verb}.${name}.${id}`,
];
