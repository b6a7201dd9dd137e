package v1alpha1

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxContactLength bounds Contact, in characters: clients such as Argo CD show a denial in a narrow column.
const maxContactLength = 200

// Validate checks c after SetDefaults. It does not know which rules are loaded, so it checks only the form of their
// codes. The list is in a stable order, and empty when c is valid.
func Validate(c *Configuration) field.ErrorList {
	var errs field.ErrorList
	if modes := []Enforcement{EnforcementObserve, EnforcementWarn, EnforcementEnforce}; !slices.Contains(modes, c.Enforcement) {
		errs = append(errs, field.NotSupported(field.NewPath("enforcement"), c.Enforcement, modes))
	}
	errs = append(errs, validateRules(c.Rules, field.NewPath("rules"))...)
	errs = append(errs, validateParameters(c, field.NewPath("parameters"))...)
	errs = append(errs, validateControllers(c.Controllers, field.NewPath("controllers"))...)
	errs = append(errs, validateCompletion(&c.Completion, field.NewPath("completion"))...)
	errs = append(errs, validateContact(c.Contact, field.NewPath("contact"))...)
	return errs
}

func validateRules(rules map[string]RuleConfiguration, path *field.Path) field.ErrorList {
	// The code is the path of a rule's folder, and folders are snake_case.
	code := regexp.MustCompile(`^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`)
	modes := []Mode{ModeDeny, ModeWarn, ModeAudit, ModeOff}

	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		if !code.MatchString(key) {
			errs = append(errs, field.Invalid(path.Key(key), key, `must be the code of a rule, such as "image.moving_tag"`))
		}
		switch mode := rules[key].Mode; {
		case mode == "":
			errs = append(errs, field.Required(path.Key(key).Child("mode"), "choose deny, warn, audit or off"))
		case !slices.Contains(modes, mode):
			errs = append(errs, field.NotSupported(path.Key(key).Child("mode"), mode, modes))
		}
	}
	return errs
}

func validateParameters(c *Configuration, path *field.Path) field.ErrorList {
	// A policy reads data.params.<key>; another spelling would need data.params["…"], which no rule uses.
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(c.Parameters)) {
		if !name.MatchString(key) {
			errs = append(errs, field.Invalid(path.Key(key), key, "must be lower case letters, digits and underscores, starting with a letter"))
		}
	}
	return errs
}

func validateControllers(controllers []ControllerIdentity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[string]struct{}, len(controllers))
	for i, controller := range controllers {
		userPath := path.Index(i).Child("user")
		if controller.User == "" {
			errs = append(errs, field.Required(userPath, `write the complete user name, such as "system:serviceaccount:NAMESPACE:NAME"`))
			continue
		}
		if controller.User != strings.TrimSpace(controller.User) {
			errs = append(errs, field.Invalid(userPath, controller.User, "must not begin or end with a space"))
		}
		if _, ok := seen[controller.User]; ok {
			errs = append(errs, field.Duplicate(userPath, controller.User))
		}
		seen[controller.User] = struct{}{}
	}
	return errs
}

func validateContact(contact string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if n := utf8.RuneCountInString(contact); n > maxContactLength {
		errs = append(errs, field.Invalid(path, contact, fmt.Sprintf("must have at most %d characters, has %d", maxContactLength, n)))
	}
	// U+2028 and U+2029 break lines too but are no control characters.
	if strings.ContainsFunc(contact, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		errs = append(errs, field.Invalid(path, contact, "must be a single line without control characters"))
	}
	return errs
}
