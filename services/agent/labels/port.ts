/** port: a port number in host order, in decimal. Names of services differ from host to host; numbers merge. */
export { unsigned as port } from './number.ts';
