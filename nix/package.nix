# The agent as a package: the committed bundle and the Node that runs it. Nothing is compiled.
{
  lib,
  stdenvNoCC,
  makeWrapper,
  nodejs_24,
  # Node without npm, where nixpkgs has it: a third smaller.
  nodejs-slim_24 ? nodejs_24,
}:
let
  # An agent waits; it computes nothing for long. Without compilers at run time, with a small young generation and without
  # V8's threads it keeps 12 MB less (docs/benchmarks.md). A Node that does not know a flag fails the check below.
  nodeFlags = [
    "--lite-mode"
    "--max-semi-space-size=1"
    "--v8-pool-size=0"
  ];
in
stdenvNoCC.mkDerivation {
  pname = "floe-agent";
  version = (lib.importJSON ../package.json).version;

  src = ./agent/floe-agent.mjs;
  dontUnpack = true;
  dontConfigure = true;
  dontBuild = true;

  nativeBuildInputs = [ makeWrapper ];

  # FLOE_AGENT_PROGRAM is what the rescue timer runs: this very path, kept by the closure that it goes back to.
  installPhase = ''
    runHook preInstall
    install -Dm444 "$src" "$out/lib/floe-agent/floe-agent.mjs"
    makeWrapper ${lib.getExe nodejs-slim_24} "$out/bin/floe-agent" \
      --add-flags "${lib.concatStringsSep " " nodeFlags}" \
      --add-flags "$out/lib/floe-agent/floe-agent.mjs" \
      --set FLOE_AGENT_PROGRAM "$out/bin/floe-agent"
    runHook postInstall
  '';

  doInstallCheck = stdenvNoCC.buildPlatform.canExecute stdenvNoCC.hostPlatform;
  installCheckPhase = ''
    runHook preInstallCheck
    "$out/bin/floe-agent" --help > /dev/null
    runHook postInstallCheck
  '';

  meta = {
    description = "Agent of Floe, a Kubernetes operator for NixOS machines";
    license = lib.licenses.asl20;
    mainProgram = "floe-agent";
    platforms = lib.platforms.linux;
  };
}
