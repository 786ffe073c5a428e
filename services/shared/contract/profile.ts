/** A profile as `go tool pprof` reads it: proto/perftools/profiles/profile.proto as bytes, not compressed. */
import { encodeMessage } from './encode.ts';
import { Profile } from './gen/perftools/profiles/profile.ts';

export type { FunctionMessage as ProfileFunction, Location, Sample } from './gen/perftools/profiles/profile.ts';
export { Profile };

export const encodeProfile = (profile: Profile): Uint8Array => encodeMessage(Profile, profile);
