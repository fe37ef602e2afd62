# Boot counting with systemd-boot in QEMU: what is called good, and what falls back without anyone. Needs KVM; not run by
# `npm test`, and not run where it was written: the loader's rules are tested against files (agent/src/machine/loaders).
#   nix build .#checks.x86_64-linux.boot-counting -L
{
  name = "floe-boot-counting";

  nodes =
    let
      common = {
        virtualisation.useBootLoader = true;
        virtualisation.useEFIBoot = true;
        boot.loader.systemd-boot = {
          enable = true;
          bootCounting.enable = true;
          bootCounting.tries = 2;
        };
        boot.loader.efi.canTouchEfiVariables = true;
        system.switch.enable = true;
        # Kept across restarts, so that entries belong to this machine.
        environment.etc."machine-id".text = "1234567890abcdef1234567890abcdef\n";
        services.floe-agent = {
          enable = true;
          # Nobody is there: the agent must be content with that.
          hub = "https://127.0.0.1:9";
          trustedPublicKeys = [ "test-floe-1:4ZRVJ0sKjFzOmJsQe2yq1cYeKHRVvbRRrzCjn8n5x1Q=" ];
        };
      };
    in
    {
      machine =
        { nodes, ... }:
        {
          imports = [ common ];
          system.extraDependencies = [
            nodes.fine.system.build.toplevel
            nodes.mute.system.build.toplevel
          ];
        };
      fine = {
        imports = [ common ];
        environment.etc."which".text = "fine";
      };
      # It comes up as far as systemd is concerned, but its agent never runs: nobody calls the boot good.
      mute =
        { lib, ... }:
        {
          imports = [ common ];
          environment.etc."which".text = "mute";
          systemd.services.floe-agent.wantedBy = lib.mkForce [ ];
        };
    };

  testScript =
    { nodes, ... }:
    let
      orig = nodes.machine.system.build.toplevel;
      fine = nodes.fine.system.build.toplevel;
      mute = nodes.mute.system.build.toplevel;
    in
    ''
      import json

      def entry(closure):
          return machine.succeed(f"grep -l 'init={closure}/init' /boot/loader/entries/*.conf").strip().splitlines()[0]

      def is_counted(closure):
          return "+" in entry(closure)

      def runs(closure):
          machine.succeed(f"test $(readlink -f /run/current-system) = {closure}")

      machine.start(allow_reboot=True)
      machine.wait_for_unit("multi-user.target")

      with subtest("a boot without an open attempt is called good by the agent"):
          machine.wait_until_succeeds("test -e /run/floe-agent/boot-good")
          machine.wait_until_succeeds("! ls /boot/loader/entries | grep -F +")

      with subtest("the boot default is read from the loader"):
          state = json.loads(machine.succeed("floe-agent status --json"))
          assert state["bootDefault"] == {"closure": "${orig}", "verified": True}, state
          assert state["reboot"]["fallback"] is True, state

      with subtest("a closure that waits for its boot is counted, and called good once it was kept"):
          machine.succeed("floe-agent apply ${fine} --attempt fine --mode boot --json")
          assert is_counted("${fine}")
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          runs("${fine}")
          machine.wait_until_succeeds("! ls /boot/loader/entries | grep -F +")

      with subtest("one whose agent never says so falls back when its tries are used up"):
          machine.succeed("floe-agent apply ${mute} --attempt mute --mode boot --json")
          for _ in range(2):
              machine.reboot()
              machine.wait_for_unit("multi-user.target")
              runs("${mute}")
              assert is_counted("${mute}")
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          runs("${fine}")
          state = json.loads(machine.succeed("floe-agent status --json"))
          assert state["bootDefault"]["closure"] == "${fine}", state
    '';
}
