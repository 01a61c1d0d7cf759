// Package lease lets several daemons share what runs in a cluster. Each holds a
// Lease of its own as long as it lives, and sees whose Leases have run out.
//
// A daemon counts as dead when its Lease has not changed for [Duration], on the
// clock of the one that watches: no two clocks are compared, and a clock that is
// set does no harm. Whoever finds a dead one takes its Lease away first. From then
// on the dead one, should it come back, learns at its next renewal that others may
// have taken what was its own: its term has ended.
//
// A [Keeper] holds for [validFor] from the beginning of its last renewal, which is
// less than [Duration]: it stops before others take it for dead.
package lease
