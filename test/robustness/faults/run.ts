import { isBoxRunError } from "../../../src/backend/errors.js";
import { BoxRunClient, type Timeouts } from "../../../src/index.js";
import { connectRemote } from "../../../src/remote/index.js";
import { describeFault, FAULT_KINDS, type FaultKind, newPlan, type Plan } from "./plan.js";
import { FaultProxy, type Fired } from "./proxy.js";
import { Random } from "./random.js";
import type { Target } from "./servers.js";
import { Hung, within } from "./within.js";
import { type Context, WORKLOADS, type Workload, Wrong } from "./workloads.js";

/** What came of one run. */
export interface Outcome {
  seed: number;
  target: string;
  workload: string;
  /** The kinds that have happened, each once. */
  kinds: FaultKind[];
  /** "right", the code of an error, or "altered": a byte was changed that nobody can know of. */
  result: string;
  ms: number;
  /** What must not be. Empty for a run that was as it should be. */
  violations: string[];
}

/** Where a run takes place: a server of its own or a shared one, by chance of its seed. */
export interface Ground {
  /** In words, for running it again: what follows `npm run soak -- --seed N`. */
  again: string;
  kinds: readonly FaultKind[];
  /** Only these, by name. Default: all that the target can do. */
  workloads?: readonly string[];
  newTarget(random: Random): Promise<Target>;
}

const BACKOFF_MS = 20;
/** Without silence in the plan no clock has anything to end: a slow machine must not look like a fault. */
const PATIENT: Required<Timeouts> = {
  requestMs: 60_000,
  lifecycleMs: 60_000,
  silenceMs: 60_000,
  probeMs: 60_000,
};
/** With it they do, and a run lasts as long as they take. */
const BRISK: Required<Timeouts> = { requestMs: 4000, lifecycleMs: 5000, silenceMs: 1500, probeMs: 4000 };
/** A server closes connections that are idle for a little longer than this, and may just as the client sends a command over one: a run that takes so long may fail by itself. */
const KEPT_MS = 3500;
/** Sockets that are kept for later requests are closed by the runtime after some seconds, and later on a busy machine. */
const IDLE_MS = 30_000;
/** Faults that a violation tells. */
const TOLD = 8;
/** What a client may say of a connection that fails. */
const LOST = new Set(["CONNECTION_FAILED", "STREAM_INTERRUPTED"]);
/** And of a server that has forgotten its commands. */
const FORGOTTEN = new Set([...LOST, "EXEC_NOT_FOUND", "RUNTIME_ERROR"]);

/** Runs the workload and the plan of a seed. `onJudged` is called when what is left is to wait for the end of its sockets. */
export async function runSeed(seed: number, ground: Ground, onJudged = () => {}): Promise<Outcome> {
  const random = new Random(seed);
  const target = await ground.newTarget(random);
  const choices = WORKLOADS.filter(
    ({ name, cannot }) => !cannot?.(target) && (ground.workloads?.includes(name) ?? true),
  );
  const workload = random.pick(choices);
  const plan = newPlan(random, workload.extent, ground.kinds);
  const proxy = await FaultProxy.start(target.port, plan, target.restart);
  const began = performance.now();
  const context = {
    random,
    target,
    box: await target.newBox(),
    run: `m${seed.toString(36)}`,
    markers: [] as string[],
  };
  const clocks = isSilent(plan) ? BRISK : PATIENT;
  const { result, violations, close } = await attempt(workload, context, plan, proxy, clocks);
  const ms = performance.now() - began;
  onJudged();

  await close();
  proxy.thaw();
  if (!(await proxy.idle(IDLE_MS)))
    violations.push(`sockets of the closed client are open: ${proxy.requests.join(", ")}`);
  violations.push(...(await checkServer(workload, context, proxy.fired, result)));
  await proxy.close();
  violations.push(...(await target.release()));
  const what = `seed ${seed}, ${workload.name}, ${target.name}: `;
  const how = `\n  result: ${result}\n  plan: ${plan.map(describeFault).join("; ") || "nothing"}\n  happened: ${happened(proxy.fired)}\n  again: npm run soak -- ${ground.again} --seed ${seed}`;
  return {
    seed,
    target: target.name,
    workload: workload.name,
    kinds: FAULT_KINDS.filter((kind) => proxy.fired.some(({ fault }) => fault.kind === kind)),
    result,
    ms,
    violations: violations.map((violation) => what + violation + how),
  };
}

function happened(fired: readonly Fired[]): string {
  const first = fired.slice(0, TOLD).map(describeFired).join("; ");
  return fired.length > TOLD ? `${first}; and so on, ${fired.length} in all` : first || "nothing";
}

async function attempt(
  workload: Workload,
  context: Omit<Context, "client">,
  plan: Plan,
  proxy: FaultProxy,
  timeouts: Required<Timeouts>,
): Promise<{ result: string; violations: string[]; close: () => Promise<void> }> {
  let client: BoxRunClient | undefined;
  const work = async () => {
    const baseUrl = `http://127.0.0.1:${proxy.port}`;
    const backend = await connectRemote({ baseUrl, timeouts, backoffMs: BACKOFF_MS });
    client = new BoxRunClient({ backend });
    await workload.run({ ...context, client });
    return "right";
  };
  const close = async () => client?.close();
  const began = performance.now();
  const limitMs = boundMs(plan, timeouts);
  try {
    const result = await within(limitMs, work());
    return { result, violations: [], close };
  } catch (error) {
    const violations = judge(
      error,
      workload,
      proxy.fired,
      timeouts === PATIENT && performance.now() - began < KEPT_MS,
    );
    return { result: nameOf(error), violations, close };
  }
}

function nameOf(error: unknown): string {
  if (isBoxRunError(error)) return error.code;
  return error instanceof Wrong ? "altered" : error instanceof Hung ? "hung" : "crashed";
}

/** Whether a run that did not end well may end so. */
function judge(error: unknown, workload: Workload, fired: readonly Fired[], isPatient: boolean): string[] {
  const kinds = new Set(fired.map(({ fault }) => fault.kind));
  const said =
    error instanceof Error
      ? `${error.message}${isBoxRunError(error) ? ` [${error.code}]` : ""}`
      : String(error);
  if (error instanceof Hung) return [said];
  // A byte that is another may be anything: another command, another output, another code.
  if (error instanceof Wrong) return kinds.has("corrupt") ? [] : [said];
  if (!isBoxRunError(error)) return [`no error of this SDK: ${error instanceof Error ? error.stack : error}`];
  if (kinds.has("corrupt")) return [];
  // While a proxy refuses, another run's may get its port: the client then speaks to a server that knows nothing of its box.
  if (kinds.has("refuse") && error.code === "BOX_NOT_FOUND") return [];
  if (!(kinds.has("restart") ? FORGOTTEN : LOST).has(error.code))
    return [`an error that does not fit: ${said}`];
  if (isPatient && fired.every(({ fault }) => fault.kind === "delay" || fault.kind === "dribble"))
    return [`nothing was lost, and it failed: ${said}`];
  if (workload.survives && mustSurvive(fired)) return [`it had to go on, and failed: ${said}`];
  return [];
}

/** Faults of a stream of events, few enough to go on after each. */
function mustSurvive(fired: readonly Fired[]): boolean {
  const kinds = new Set(["cut", "reset", "stall", "swallow", "delay", "dribble"]);
  const onEvents = fired.every(
    ({ fault, during }) => kinds.has(fault.kind) && /\/events\b/.test(during ?? ""),
  );
  return onEvents && fired.length > 0 && fired.length <= 3;
}

async function checkServer(
  workload: Workload,
  context: Omit<Context, "client">,
  fired: readonly Fired[],
  result: string,
): Promise<string[]> {
  const { target, run, markers } = context;
  const starts = await target.starts(run);
  const violations: string[] = [];
  if (starts.length > markers.length || new Set(starts).size < starts.length)
    violations.push(`commands were started twice: ${markers.join(" ")} became ${starts.join(" ")}`);
  const isCounted = !workload.mayNotStart && !(workload.inOwnBox && target.hasShell);
  if (result === "right" && isCounted && markers.length > starts.length)
    violations.push("a command has ended that was never started");
  if (fired.some(({ fault }) => fault.kind === "corrupt") || !workload.check) return violations;
  return [...violations, ...(await workload.check(context as Context, result !== "right"))];
}

const isSilent = (plan: Plan) =>
  plan.some(({ kind }) => kind === "stall" || kind === "swallow" || kind === "corrupt");

/** Connections that a stream takes when each is cut after some bytes, and brings some of it. */
const MANY = 30;

/** Far more than all clocks of a run, one after the other: what takes longer will never end. */
function boundMs(plan: Plan, { requestMs, lifecycleMs, silenceMs }: Required<Timeouts>): number {
  const faults = plan.some(({ connection }) => connection === "every") ? MANY : plan.length;
  return (faults + 2) * (requestMs + lifecycleMs + silenceMs) + 30_000;
}

function describeFired({ fault, connection, during }: Fired): string {
  return `${fault.kind} of connection ${connection} during ${during ?? "nothing"}`;
}
