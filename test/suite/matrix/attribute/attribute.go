// Package attribute names what tests say of themselves for the support matrix, by testing.T.Attr.
package attribute

// The keys. A test that says Runner or Engine is a part of the cell of that runner system and engine.
const (
	// Kubernetes is the version that the API server reported.
	Kubernetes = "kubernetes"
	// Runner is the runner system whose pods were created, as inject.System names it.
	Runner = "runner"
	// Engine is the version of the engine that the pods were given.
	Engine = "engine"
	// OwnCode is "true" where the runner system's own code created the pods, not the test from recorded ones.
	OwnCode = "ownCode"
)
