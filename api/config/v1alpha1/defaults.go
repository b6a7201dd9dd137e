package v1alpha1

// defaultMountPath is where an init container sees the volume that it fills, in an image that may have any other path.
const defaultMountPath = "/plainspec/artifact"

// SetDefaults fills the fields of c that its author left out. The defaults that depend on the Pod (who copies, and with
// which resources) are of the one who plans the copy.
func SetDefaults(c *Configuration) {
	c.APIVersion, c.Kind = APIVersion, Kind
	if c.Enforcement == "" {
		// A cluster that installs Plainspec without deciding anything must keep working.
		c.Enforcement = EnforcementObserve
	}
	for i := range c.Completion.Profiles {
		p := &c.Completion.Profiles[i]
		if p.OS == "" {
			p.OS = Linux
		}
		if p.Init.MountPath == "" {
			p.Init.MountPath = defaultMountPath
		}
	}
}

// Default returns the configuration of a server that was given no file.
func Default() *Configuration {
	c := &Configuration{}
	SetDefaults(c)
	return c
}
