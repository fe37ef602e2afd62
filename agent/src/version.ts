// Version of this build; the bundler puts it in.

export const AGENT_VERSION: string = process.env['FLOE_VERSION'] ?? '0.0.0-source';
