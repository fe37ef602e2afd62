# Raw derivations, built with nothing but the shell and the core utilities of the Debian image that builds them.
let
  system = "x86_64-linux";
in
rec {
  inherit system;
  stdenv.hostPlatform.system = system;

  # `script` runs in /bin/sh with $out; `variables` are in its environment.
  runCommand =
    name: variables: script:
    derivation (
      variables
      // {
        inherit name system;
        builder = "/bin/sh";
        args = [
          "-euc"
          "export PATH=/usr/bin:/bin:/usr/sbin:/sbin\n${script}"
        ];
      }
    );

  writeText =
    name: text:
    derivation {
      inherit name system text;
      passAsFile = [ "text" ];
      builder = "/bin/sh";
      args = [
        "-euc"
        "export PATH=/usr/bin:/bin; cat \"$textPath\" > \"$out\""
      ];
    };

  # One program in bin/.
  writeShellScriptBin =
    name: program: text:
    runCommand name { text = "#!/bin/sh\n${text}\n"; passAsFile = [ "text" ]; } ''
      mkdir -p "$out/bin"; cat "$textPath" > "$out/bin/${program}"; chmod +x "$out/bin/${program}"'';
}
