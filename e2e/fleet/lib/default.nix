# nixosSystem with the outward form of nixpkgs' own: config, options, extendModules, and errors in the same words.
let
  modules = import ./modules.nix;
  optionTree = import ./options.nix { inherit (modules) lib; };
  base = import ./system.nix;

  nixosSystem =
    {
      modules ? [ ],
      specialArgs ? { },
      ...
    }@arguments:
    let
      result = modules'.eval {
        options = optionTree;
        modules = [ base ] ++ modules;
        specialArgs = {
          modulesPath = ./.;
          pkgs = import ./build.nix;
          inherit extendModules;
        } // specialArgs;
      };
      extendModules =
        {
          modules ? [ ],
          specialArgs ? { },
          ...
        }:
        nixosSystem {
          modules = (arguments.modules or [ ]) ++ modules;
          specialArgs = (arguments.specialArgs or { }) // specialArgs;
        };
    in
    {
      _type = "configuration";
      inherit (result) config options;
      inherit extendModules;
      type = null;
    };
  modules' = modules;
in
{
  inherit nixosSystem;
  inherit (modules) lib;
}
