/** Exit codes of a role that its supervisor acts upon; 0, 1 and 2 mean what they always do. */

/** An agent's last read found no bus to confirm it: the pins hold the only copy (sysexits' EX_TEMPFAIL). */
export const exitUnconfirmed = 75;
