package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Port is one that a service says it listens on.
type Port struct {
	Number   int
	Protocol string // http or https
	Name     string
}

// A ServiceCheck is a service that the helper waits for before the first script.
type ServiceCheck struct {
	Name    string        `json:"name"` // as in ServiceNames
	Ports   []int         `json:"ports"`
	Timeout time.Duration `json:"timeout"` // ns, for all ports together
}

// healthCheck is the variable of a service's own that names its port.
const healthCheck = "HEALTHCHECK_TCP_PORT"

// serviceTimeout is how long a service may take to accept connections before
// the job goes on without, as with GitLab Runner's Docker executor.
const serviceTimeout = 30 * time.Second

// ServiceNames are what the services are called in the job's log: the first
// alias, or else the image. Of several with one name the later ones have a number.
func ServiceNames(services []Service) []string {
	var names []string
	for _, s := range services {
		name := s.Name
		if len(s.Aliases) > 0 {
			name = s.Aliases[0]
		}
		unique := name
		for n := 2; slices.Contains(names, unique); n++ {
			unique = fmt.Sprintf("%s#%d", name, n)
		}
		names = append(names, unique)
	}
	return names
}

// serviceChecks says which ports of which services have to be open before the
// job's first script: the one that the service's own HEALTHCHECK_TCP_PORT
// names, or else those that it declares.
func serviceChecks(services []Service) (checks []ServiceCheck, warnings []string) {
	for i, name := range ServiceNames(services) {
		var ports []int
		add := func(text, where string) {
			port, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || port < 1 || port > 65535 {
				warnings = append(warnings, fmt.Sprintf("service %s: %s=%q is no port and was ignored: use a number from 1 to 65535", name, where, text))
				return
			}
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
		if text := Value(services[i].Variables, healthCheck); text != "" {
			add(text, healthCheck)
		}
		if len(ports) == 0 {
			for _, p := range services[i].Ports {
				add(strconv.Itoa(p.Number), "ports: number")
			}
		}
		if len(ports) > 0 {
			checks = append(checks, ServiceCheck{Name: name, Ports: ports, Timeout: serviceTimeout})
		}
	}
	return checks, warnings
}

// DefaultAliases are the host names that a service has by its image: the image
// without port, tag and digest, with its slashes replaced.
func DefaultAliases(image string) []string {
	image, _, _ = strings.Cut(image, "@")
	host, rest, hasHost := strings.Cut(image, "/")
	if !hasHost {
		host, rest = "", image
	} else if name, _, hasPort := strings.Cut(host, ":"); hasPort {
		host = name
	}
	rest, _, _ = strings.Cut(rest, ":")
	if hasHost {
		rest = host + "/" + rest
	}
	names := []string{strings.ReplaceAll(rest, "/", "__")}
	if dashed := strings.ReplaceAll(rest, "/", "-"); dashed != names[0] {
		names = append(names, dashed)
	}
	return names
}
