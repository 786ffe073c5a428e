/**
 * An index over a google.protobuf.FileDescriptorSet that keeps each file's bytes as the compiler wrote them. Reads just
 * what reflection looks up. Field numbers: google/protobuf/descriptor.proto.
 *
 *   FileDescriptorSet    1 file
 *   FileDescriptorProto  1 name  2 package  3 dependency  4 message  5 enum  6 service  7 extension
 *   DescriptorProto      1 name  2 field  3 nested  4 enum  6 extension  8 oneof
 *   FieldDescriptorProto 1 name  2 extendee  3 number
 *   EnumDescriptorProto  1 name  2 value      ServiceDescriptorProto  1 name  2 method
 */

export interface DescriptorFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

export interface DescriptorIndex {
  readonly files: ReadonlyMap<string, DescriptorFile>;
  /** File by full name of message, field, oneof, enum, enum value (in its enum's scope), service, method, extension. */
  readonly symbols: ReadonlyMap<string, DescriptorFile>;
  readonly services: readonly string[];
  /** Files by extended type and number. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescriptorFile>>;
}

const text = new TextDecoder();

/** Fields of a message: number and, for length-delimited ones, bytes; varints as numbers. Throws RangeError when broken. */
function* fieldsOf(bytes: Uint8Array): Generator<readonly [number: number, value: Uint8Array | number]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      if (at >= bytes.length) throw new RangeError('descriptor: truncated');
      const b = bytes[at++]!;
      value += (b & 0x7f) * shift;
      if (b < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) yield [Math.floor(tag / 8), varint()];
    else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new RangeError('descriptor: truncated');
      yield [Math.floor(tag / 8), bytes.subarray(at, (at += length))];
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else throw new RangeError(`descriptor: wire type ${wire}`);
  }
}

const messages = (bytes: Uint8Array, field: number): Uint8Array[] =>
  [...fieldsOf(bytes)].filter(([n, v]) => n === field && v instanceof Uint8Array).map(([, v]) => v as Uint8Array);
const texts = (bytes: Uint8Array, field: number): string[] => messages(bytes, field).map((v) => text.decode(v));
const nameOf = (bytes: Uint8Array): string => texts(bytes, 1)[0] ?? '';

/** Indexes an image written by `protoc --include_imports`. */
export function indexDescriptors(image: Uint8Array): DescriptorIndex {
  const files = new Map<string, DescriptorFile>();
  const symbols = new Map<string, DescriptorFile>();
  const services: string[] = [];
  const extensions = new Map<string, Map<number, DescriptorFile>>();
  for (const bytes of messages(image, 1)) {
    const file: DescriptorFile = { name: nameOf(bytes), bytes, dependencies: texts(bytes, 3) };
    files.set(file.name, file);
    const scope = texts(bytes, 2)[0] ?? '';
    const inScope = (outer: string, name: string): string => (outer ? `${outer}.${name}` : name);
    const declare = (outer: string, declared: Uint8Array): string => {
      const name = inScope(outer, nameOf(declared));
      symbols.set(name, file);
      return name;
    };
    const declareExtension = (outer: string, declared: Uint8Array): void => {
      declare(outer, declared);
      const extendee = (texts(declared, 2)[0] ?? '').replace(/^\./, '');
      const number = [...fieldsOf(declared)].find(([n]) => n === 3)?.[1];
      const numbers = extensions.get(extendee) ?? new Map<number, DescriptorFile>();
      if (typeof number === 'number') numbers.set(number, file);
      extensions.set(extendee, numbers);
    };
    const declareEnum = (outer: string, declared: Uint8Array): void => {
      declare(outer, declared);
      // A value's name is a sibling of its enum, as in C.
      for (const value of messages(declared, 2)) declare(outer, value);
    };
    const declareMessage = (outer: string, declared: Uint8Array): void => {
      const name = declare(outer, declared);
      for (const member of [...messages(declared, 2), ...messages(declared, 8)]) declare(name, member);
      for (const nested of messages(declared, 3)) declareMessage(name, nested);
      for (const nested of messages(declared, 4)) declareEnum(name, nested);
      for (const nested of messages(declared, 6)) declareExtension(name, nested);
    };
    for (const declared of messages(bytes, 4)) declareMessage(scope, declared);
    for (const declared of messages(bytes, 5)) declareEnum(scope, declared);
    for (const declared of messages(bytes, 7)) declareExtension(scope, declared);
    for (const declared of messages(bytes, 6)) {
      const name = declare(scope, declared);
      services.push(name);
      for (const method of messages(declared, 2)) declare(name, method);
    }
  }
  return { files, symbols, services: services.sort(), extensions };
}

/** A file and everything it imports that `sent` does not have yet, each once; `sent` then has them. */
export function withDependencies(index: DescriptorIndex, file: DescriptorFile, sent: Set<string>): DescriptorFile[] {
  const found: DescriptorFile[] = [];
  const visit = (f: DescriptorFile): void => {
    // The file asked for is always given; the rest once a stream.
    if (f !== file && sent.has(f.name)) return;
    sent.add(f.name);
    found.push(f);
    for (const name of f.dependencies) {
      const dependency = index.files.get(name);
      if (dependency && !found.includes(dependency)) visit(dependency);
    }
  };
  visit(file);
  return found;
}
