package v1alpha1

// SetDefaults fills the fields of c that its author left out.
func SetDefaults(c *Configuration) {
	c.APIVersion, c.Kind = APIVersion, Kind
	if c.Enforcement == "" {
		// A cluster that installs Plainspec without deciding anything must keep working.
		c.Enforcement = EnforcementObserve
	}
}

// Default returns the configuration of a server that was given no file.
func Default() *Configuration {
	c := &Configuration{}
	SetDefaults(c)
	return c
}
