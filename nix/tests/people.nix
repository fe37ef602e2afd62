# A NixOS machine in QEMU: the users' socket and group, and units that wait for secrets, without a hub. Needs KVM; not run by `npm test`.
#   nix build .#checks.x86_64-linux.people -L
{
  name = "floe-people";

  nodes.machine =
    { pkgs, ... }:
    {
      system.switch.enable = true;
      users.users.ada.isNormalUser = true;
      users.users.eve.isNormalUser = true;
      services.floe-agent = {
        enable = true;
        # Nobody is there: no secret comes by itself.
        hub = "https://127.0.0.1:9";
        trustedPublicKeys = [ "test-floe-1:4ZRVJ0sKjFzOmJsQe2yq1cYeKHRVvbRRrzCjn8n5x1Q=" ];
        users.members = [ "ada" ];
        secretsTimeout = 5;
        secrets."tls.key".requiredBy = [ "needy.service" ];
      };
      systemd.services.needy = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
      };
    };

  testScript = ''
    machine.wait_for_unit("floe-agent.service")
    machine.wait_for_file("/run/floe-agent/agent.sock")

    with subtest("the socket is for one group"):
        assert machine.succeed("stat -c '%U:%G %a' /run/floe-agent/agent.sock").strip() == "root:floe-users 660"
        assert "Nothing waits for your answer" in machine.succeed("su ada -c 'floe-agent status'")
        code, said = machine.execute("su eve -c 'floe-agent status' 2>&1")
        assert code == 1 and "not in the group floe-users" in said, said

    with subtest("without secrets in time the unit that needs them does not start, and the boot goes on"):
        machine.wait_until_succeeds("systemctl is-failed floe-secrets.service")
        machine.wait_for_unit("multi-user.target")
        machine.fail("systemctl is-active needy.service")
        machine.succeed("journalctl -u floe-secrets.service | grep 'were not delivered within 5 s'")

    with subtest("when they have come, the target is reached and the unit starts"):
        # What the agent does when its list is complete.
        machine.succeed("mkdir -p /run/floe-secrets && touch /run/floe-secrets/.complete")
        machine.succeed("systemctl start floe-secrets.target")
        machine.wait_for_unit("needy.service")
  '';
}
