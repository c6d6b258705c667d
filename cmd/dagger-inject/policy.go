package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

const policyHelp = "file with the injection policy (default: the built-in policy, which fits the Dagger chart's default names)"

// loadPolicy reads and compiles the policy in a file; without a file, the built-in one.
func loadPolicy(file string) (*inject.Policy, error) {
	if file == "" {
		return inject.NewPolicy(config.Default(), "built-in"), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badInputf("reading the policy: %w", err)
	}
	policy, err := config.Parse(text)
	if err != nil {
		var all config.Errors
		if !errors.As(err, &all) {
			return nil, badInputf("%s: %w", file, err)
		}
		message := fmt.Sprintf("the policy in %s is invalid:", file)
		for _, one := range all {
			message += fmt.Sprintf("\n  %s: %s", file, one.Error())
		}
		return nil, badInput{errors.New(message)}
	}
	return inject.NewPolicy(policy, "file"), nil
}
