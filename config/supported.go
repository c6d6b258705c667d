package config

import "slices"

// notSupportedYet refuses the fields that the schema has and this version does not act on: a setting that does nothing
// would be found out only when a job hangs.
func notSupportedYet(p *InjectionPolicy) Errors {
	var errs Errors
	refuse := func(path, instead string, used bool) {
		if used {
			errs = append(errs, FieldError{Path: path, Problem: "not supported yet: " + instead})
		}
	}
	refuse("engine.discover.ownNamespace", "name the engine's namespace with engine.discover.namespace", p.Engine.Discover.OwnNamespace)
	refuse("cli.delivery", "use init-container or none", p.CLI.Delivery == DeliveryImageVolume)
	return slices.Clip(errs)
}
