package inject

// ExplainedReasons is how many reasons have an explanation.
func ExplainedReasons() int { return len(explanations) }
