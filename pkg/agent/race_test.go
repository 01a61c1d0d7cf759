//go:build race

package agent_test

// raceFlag has the program under test look for races as well.
const raceFlag = "-race=true"

const underRace = true
