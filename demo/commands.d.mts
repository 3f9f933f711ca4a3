export declare const COMMANDS: readonly string[];
