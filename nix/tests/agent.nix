# A NixOS machine in QEMU: the agent's own part of the work, without a hub. Needs KVM; not run by `npm test`.
#   nix build .#checks.x86_64-linux.agent -L
{
  name = "floe-agent";

  nodes.machine =
    { pkgs, ... }:
    {
      services.floe-agent = {
        enable = true;
        # Nobody is there: the agent must be content with that.
        hub = "https://127.0.0.1:9";
        trustedPublicKeys = [ "test-floe-1:4ZRVJ0sKjFzOmJsQe2yq1cYeKHRVvbRRrzCjn8n5x1Q=" ];
      };
      system.switch.enable = true;
      environment.systemPackages = [ pkgs.jq ];

      specialisation.good.configuration.environment.etc."which".text = "good";
      specialisation.bad.configuration = {
        environment.etc."which".text = "bad";
        systemd.services.fails = {
          wantedBy = [ "multi-user.target" ];
          serviceConfig.ExecStart = "${pkgs.coreutils}/bin/false";
        };
      };
    };

  testScript = ''
    import json

    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("floe-agent.service")

    with subtest("a host key is made, though there is no sshd"):
        machine.succeed("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key | grep ssh-ed25519")

    before = machine.succeed("readlink -f /run/current-system").strip()

    def apply(name, attempt):
        closure = machine.succeed(f"readlink -f {before}/specialisation/{name}").strip()
        code, out = machine.execute(f"floe-agent apply {closure} --attempt {attempt} --mode test --json")
        return code, closure, json.loads(out.strip().splitlines()[-1])

    with subtest("a good closure is kept"):
        code, closure, result = apply("good", "one")
        assert code == 0 and result["phase"] == "Committed", result
        assert machine.succeed("readlink -f /run/current-system").strip() == closure
        machine.succeed("grep good /etc/which")
        machine.succeed("systemctl is-active floe-agent.service")

    with subtest("one whose service fails is undone"):
        code, _, result = apply("bad", "two")
        assert code == 1 and result["phase"] == "RolledBack", result
        machine.succeed("grep good /etc/which")

    with subtest("the same attempt again does nothing"):
        _, _, again = apply("bad", "two")
        assert again["phase"] == "RolledBack", again
  '';
}
