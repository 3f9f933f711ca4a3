/**
 * The types of "boxrun/unix-agent", which the build replaces: by unix-agent-node.ts in Node's files, by nothing in a page's. It is a file of its own because
 * Node's own fetch takes a socket only from an agent of undici's, which is large.
 */

/** What Node's fetch sends requests with, through the Unix socket at `path`. */
export declare function openAgent(path: string): { dispatcher: object; close: () => void };
