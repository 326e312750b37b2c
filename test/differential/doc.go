// Package differential gives the same objects, through the same random history
// of changes and faults, to what kubedns is made of and to a model that is as
// plain as the specification's text, and compares all answers: with the model,
// and with a fresh start on the final objects.
//
// DIFFERENTIAL_SEEDS=N runs N histories instead of a few, DIFFERENTIAL_SEED=N
// runs that one.
package differential
