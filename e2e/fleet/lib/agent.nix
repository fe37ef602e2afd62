# The agent of every machine: from agent.json and floe-agent.mjs beside the flake, which the test bed writes.
fleet:
{ lib, ... }:
let
  written = builtins.fromJSON (builtins.readFile (fleet + "/agent.json"));
in
{
  services.floe-agent = {
    enable = lib.mkDefault true;
    package = lib.mkDefault (fleet + "/floe-agent.mjs");
    inherit (written) trustedPublicKeys;
    inherit (written) settings;
  };
}
