package config

import "slices"

// notSupportedYet refuses the fields that the schema has and this version does not act on: a setting that does nothing
// would be found out only when a job hangs.
func notSupportedYet(e *Effective) Errors {
	p, present := e.Policy, e.IsSet
	var errs Errors
	refuse := func(path, instead string, used bool) {
		if used {
			errs = append(errs, FieldError{Path: path, Problem: "not supported yet: " + instead})
		}
	}
	refuse("wait", "leave it out, or set only enabled: false", p.Wait != Wait{} || present("wait.timeout") || present("wait.onTimeout"))
	return slices.Clip(errs)
}
