# A fleet of machines in the form of a NixOS flake, without nixpkgs: nixosConfigurations.<name> and what tools expect below it.
{
  description = "The test bed's fleet";

  outputs =
    { self }:
    let
      nixos = import ./lib;
      names = map (file: builtins.head (builtins.match "(.*)\\.nix" file)) (
        builtins.attrNames (builtins.readDir ./machines)
      );
    in
    {
      lib.nixosSystem = nixos.nixosSystem;
      nixosConfigurations = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = nixos.nixosSystem {
            modules = [
              { networking.hostName = nixos.lib.mkDefault name; }
              ./common.nix
            ]
            ++ (if builtins.pathExists ./agent.json then [ (import ./lib/agent.nix ./.) ] else [ ])
            ++ [
              (./machines + "/${name}.nix")
            ];
          };
        }) names
      );
    };
}
