import { ASSET_TARGETS } from "./asset-targets.js";
import { CONNECTION_TARGETS } from "./connection-targets.js";
import { FOLDER_TARGETS } from "./folder-targets.js";
import { FRAME_TARGETS } from "./frame-targets.js";
import { GUEST_TARGETS } from "./guest-targets.js";
import { HTTP_TARGETS } from "./http-targets.js";
import { NETWORK_TARGETS } from "./network-targets.js";
import { PEER_TARGETS } from "./peer-targets.js";
import { RELAY_TARGETS } from "./relay-targets.js";
import { STATE_TARGETS } from "./state-targets.js";
import type { Target } from "./target.js";
import { VOLUME_TARGETS } from "./volume-targets.js";

/** Everything that reads what a guest, an image, a server, a client or a store has written. */
export const TARGETS: readonly Target[] = [
  ...FRAME_TARGETS,
  ...GUEST_TARGETS,
  ...ASSET_TARGETS,
  ...HTTP_TARGETS,
  ...NETWORK_TARGETS,
  ...CONNECTION_TARGETS,
  ...PEER_TARGETS,
  ...RELAY_TARGETS,
  ...STATE_TARGETS,
  ...VOLUME_TARGETS,
  ...FOLDER_TARGETS,
];
