/** bucket: the number of a histogram's bucket (algebra/histogram.ts), in decimal. No label for callers. */
export { unsigned as bucket } from './number.ts';
