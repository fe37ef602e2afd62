// Entry of the command `floe`: runs it and sets the exit code.
import { main } from './command.ts';

process.exitCode = await main(process.argv.slice(2));
