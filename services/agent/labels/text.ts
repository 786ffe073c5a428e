/** text: bytes up to the first NUL, as the kernel had them at the event: names of devices, interrupts, disks. */
export { comm as text } from './comm.ts';
