import { describe, expect, test } from 'vitest';
import { describeProxy, proxyFor } from './proxy.ts';

const HUB = 'https://floe.example.org:8443';
const found = (environment: Record<string, string>, hub = HUB) => {
  const proxy = proxyFor(hub, environment);
  return proxy === undefined ? undefined : `${proxy.variable} ${proxy.url.protocol}//${proxy.url.host}`;
};

describe('which proxy', () => {
  test.each<[string, Record<string, string>, string | undefined]>([
    ['none', {}, undefined],
    ['empty ones are none', { HTTPS_PROXY: '', all_proxy: ' ' }, undefined],
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://p:3128' }, 'HTTPS_PROXY http://p:3128'],
    ['small letters first', { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:1' }, 'https_proxy http://b:1'],
    ['HTTPS_PROXY before ALL_PROXY', { HTTPS_PROXY: 'http://a:1', ALL_PROXY: 'socks5://b' }, 'HTTPS_PROXY http://a:1'],
    ['ALL_PROXY', { ALL_PROXY: 'socks5h://s:1080' }, 'ALL_PROXY socks5h://s:1080'],
    ['HTTP_PROXY is for http', { HTTP_PROXY: 'http://p:3128' }, undefined],
    ['without a scheme', { HTTPS_PROXY: 'p:3128' }, 'HTTPS_PROXY http://p:3128'],
  ])('%s', (_name, environment, wanted) => {
    expect(found(environment)).toBe(wanted);
  });

  test.each<[string, string, string, boolean]>([
    ['all', '*', HUB, true],
    ['the host', 'floe.example.org', HUB, true],
    ['its domain', 'example.org', HUB, true],
    ['with a dot', '.example.org', HUB, true],
    ['with a star', '*.example.org', HUB, true],
    ['the end of another name', 'ample.org', HUB, false],
    ['any letters', 'EXAMPLE.org', HUB, true],
    ['its port', 'example.org:8443', HUB, true],
    ['another port', 'example.org:443', HUB, false],
    ['the usual port', 'example.org:443', 'https://floe.example.org', true],
    ['one of several', 'localhost, .local example.org', HUB, true],
    ['an address', '10.0.0.7', 'https://10.0.0.7:8443', true],
    ['another address', '0.0.7', 'https://10.0.0.7:8443', false],
    ['a network', '10.0.0.0/8', 'https://10.1.2.3:8443', true],
    ['another network', '10.0.0.0/16', 'https://10.1.2.3:8443', false],
    ['a network that is none', '10.0.0.0/99', 'https://10.1.2.3:8443', false],
    ['an address of six', '::1', 'https://[::1]:8443', true],
    ['an address of six, with its port', '[::1]:8443', 'https://[::1]:8443', true],
    ['a network of six', 'fd00::/8', 'https://[fd00::1]:8443', true],
    ['a name is in no network', '0.0.0.0/0', HUB, false],
  ])('NO_PROXY: %s', (_name, list, hub, excepted) => {
    expect(found({ HTTPS_PROXY: 'http://p:1', NO_PROXY: list }, hub) === undefined).toBe(excepted);
  });

  test.each(['http://', 'ftp://p:1', 'http://u:secret@ p'])('%s is told, without its password', (value) => {
    const look = () => proxyFor(HUB, { HTTPS_PROXY: value });
    expect(look).toThrow('HTTPS_PROXY');
    expect(look).not.toThrow('secret');
  });

  test('is described without its credentials', () => {
    const proxy = proxyFor(HUB, { HTTPS_PROXY: 'http://me:secret@p:3128' });
    expect(proxy && describeProxy(proxy)).toBe('the proxy http://p:3128 (HTTPS_PROXY)');
  });
});
