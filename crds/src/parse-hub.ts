// Parses what the hub sends to agents. Apart from the other parsers, so that an agent holds no schemas of the operator's.
import * as generated from './generated/hub-validators.js';
import { byType, type Parser, parser } from './parsed.ts';
import type { PollAnswer } from './poll.ts';
import type { HubMessage } from './protocol.ts';

export const parsePollAnswer: Parser<PollAnswer> = parser(generated.validatePollAnswer);

export const parseHubMessage: Parser<HubMessage> = byType({
  challenge: generated.validateChallenge,
  welcome: generated.validateWelcome,
  refused: generated.validateRefused,
  desired: generated.validateDesiredMessage,
  ack: generated.validateAck,
  confirmed: generated.validateConfirmed,
  denied: generated.validateDenied,
  secrets: generated.validateSecretsMessage,
  secret: generated.validateSecretMessage,
});
