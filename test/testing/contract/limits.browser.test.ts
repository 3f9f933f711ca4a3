import { BoxRunClient } from "boxrun";
import { limitCases } from "./limits.js";

limitCases((local) => new BoxRunClient({ backend: "local", local: { state: "limits", ...local } }));
