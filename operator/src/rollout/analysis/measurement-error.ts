// A measurement that gave no result: what happened and what to do, in words that may be shown.

export class MeasurementError extends Error {
  override readonly name = 'MeasurementError';
}
