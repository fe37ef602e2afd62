// The values with which the chart is installed in the local cluster.

/** Name by which machines dial the hub. */
export const hubAddress = 'floe-hub.floe-system.svc';

/** Values for an image of the name `localhost/floe:TAG`; closures live as long as the cache's pod. */
export function helmValues(image: string): object {
  const colon = image.lastIndexOf(':');
  return {
    image: { repository: image.slice(0, colon), tag: image.slice(colon + 1), pullPolicy: 'Never' },
    // More than a build's: on a host with few cores it would lose its Lease for every one.
    operator: { resources: { requests: { cpu: '300m', memory: '64Mi' } } },
    cache: {
      persistence: { type: 'emptyDir' },
      resources: { requests: { cpu: '100m', memory: '64Mi' } },
    },
    // The pods' network has no way out, and the demo's fleet needs nothing from there.
    build: { substituters: [] },
  };
}
