package config

import "slices"

// notSupportedYet refuses the fields that the schema has and this version does not act on: a setting that does nothing
// would be found out only when a job hangs.
func notSupportedYet(e *Effective) Errors {
	p, present := e.Policy, e.isSet
	var errs Errors
	refuse := func(path, instead string, used bool) {
		if used {
			errs = append(errs, FieldError{Path: path, Problem: "not supported yet: " + instead})
		}
	}
	explicit := "name the engine with engine.socket, engine.nodeTCP, engine.tcp or engine.tls"
	refuse("engine.discover", explicit, present("engine.discover"))
	refuse("scheduling.fromEngine", "list tolerations, nodeSelector and nodeAffinity here", p.Scheduling.FromEngine)
	refuse("cli.delivery", "use init-container or none", p.CLI.Delivery == DeliveryImageVolume)
	refuse("wait", "leave it out, or set only enabled: false", p.Wait != Wait{} || present("wait.timeout") || present("wait.onTimeout"))
	refuse("cloudToken", "use env with a secretKeyRef for DAGGER_CLOUD_TOKEN", present("cloudToken"))
	return slices.Clip(errs)
}
