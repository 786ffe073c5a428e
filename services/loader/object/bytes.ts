/** Bounds-checked little-endian reads: whatever an object file says of its offsets, the answer is a value or MusterError. */
import { MusterError } from '../../shared/runtime/errors.ts';

const nameBytesMax = 256;
const text = new TextDecoder();

export class ObjectBytes {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    /** Named in errors: "ELF", "BTF". */
    private readonly part: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  private check(offset: number, size: number): void {
    if (offset < 0 || size < 0 || offset + size > this.bytes.length) {
      throw new MusterError('bpf/object', `read ${this.part}: truncated or damaged`, {
        values: { offset, size, length: this.bytes.length },
      });
    }
  }

  u8(offset: number): number {
    this.check(offset, 1);
    return this.view.getUint8(offset);
  }
  u16(offset: number): number {
    this.check(offset, 2);
    return this.view.getUint16(offset, true);
  }
  u32(offset: number): number {
    this.check(offset, 4);
    return this.view.getUint32(offset, true);
  }
  i32(offset: number): number {
    this.check(offset, 4);
    return this.view.getInt32(offset, true);
  }
  /** Above 2^53 it loses low bits, and then lies beyond every bound it is compared with. */
  u64(offset: number): number {
    this.check(offset, 8);
    return Number(this.view.getBigUint64(offset, true));
  }
  slice(offset: number, size: number): Uint8Array {
    this.check(offset, size);
    return this.bytes.subarray(offset, offset + size);
  }
  /** A zero-terminated name. */
  name(offset: number): string {
    this.check(offset, 1);
    const end = this.bytes.indexOf(0, offset);
    if (end < 0 || end - offset > nameBytesMax * 16) this.check(this.bytes.length, 1);
    return text.decode(this.bytes.subarray(offset, end));
  }
}
