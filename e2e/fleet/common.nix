# What every machine of the fleet has. Written anew by the test bed for each scenario.
{ services.hello.enable = true; }
