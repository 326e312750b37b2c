// Package differential gives the same objects, through the same random history of
// changes and faults, to kubedns's packages and to a simple model of the specification,
// and compares all their answers. It also compares the final answers with those of a
// fresh start on the final objects.
//
// DIFFERENTIAL_SEEDS=N runs N histories instead of a few; DIFFERENTIAL_SEED=N runs only
// the history of that seed.
package differential
