{
  description = "Floe, a Kubernetes operator for NixOS machines: the agent and its NixOS module";

  # Let it follow yours: inputs.floe.inputs.nixpkgs.follows = "nixpkgs". The module needs 25.05 or later, for nodejs_24.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      eachSystem = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      nixosModules.default = ./nix/module.nix;
      nixosModules.floe-agent = self.nixosModules.default;

      overlays.default = final: _: { floe-agent = final.callPackage ./nix/package.nix { }; };

      packages = eachSystem (system: rec {
        floe-agent = nixpkgs.legacyPackages.${system}.callPackage ./nix/package.nix { };
        default = floe-agent;
      });

      # NixOS machines in QEMU. They need KVM, so they are not part of `npm test`.
      checks = eachSystem (system: {
        agent = nixpkgs.legacyPackages.${system}.testers.runNixOSTest {
          imports = [ ./nix/tests/agent.nix ];
          defaults.imports = [ self.nixosModules.default ];
        };
        people = nixpkgs.legacyPackages.${system}.testers.runNixOSTest {
          imports = [ ./nix/tests/people.nix ];
          defaults.imports = [ self.nixosModules.default ];
        };
        boot-counting = nixpkgs.legacyPackages.${system}.testers.runNixOSTest {
          imports = [ ./nix/tests/boot-counting.nix ];
          defaults.imports = [ self.nixosModules.default ];
        };
      });
    };
}
