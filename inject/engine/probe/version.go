package probe

import (
	"errors"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// Compatible is engine.Compatible with an Error of this package for a pair that does not work together.
func Compatible(version, client string) (note string, err error) {
	note, err = engine.Compatible(version, client)
	var bad *engine.IncompatibleError
	if errors.As(err, &bad) {
		return "", &Error{Cause: CauseVersion, Detail: oneLine(bad.Error())}
	}
	return note, err
}
