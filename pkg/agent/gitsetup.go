package agent

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/runnerd/runnerd/pkg/cacert"
)

// gitDirs is where git is looked for. The container's own PATH comes last: a
// job's variable can change it.
const gitDirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// gitAuthorities is the file with whom git trusts, in the private directory.
const gitAuthorities = "ca.pem"

// clientKeyFile is the key of git's client certificate, in the private directory.
const clientKeyFile = "client-key.pem"

// setUp writes what git needs into the private directory: its configuration,
// the credentials and a template for the repository. Nothing of it reaches the
// project directory but the template, which holds no secret.
func (c *checkout) setUp() error {
	git, err := findProgram("git")
	if err != nil {
		return fmt.Errorf("find git in the helper image: %w", err)
	}
	c.git = git
	home := filepath.Join(c.private, "home")
	template := filepath.Join(c.private, "template")
	for _, dir := range []string{home, template, filepath.Join(template, "hooks"), filepath.Join(template, "info")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("set git up: %w", err)
		}
	}
	c.config = filepath.Join(c.private, "gitconfig")
	c.env = gitEnv(c.config, home, c.plan.Variables)
	config, err := c.globalConfig()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(c.config, []byte(config), 0o600),
		os.WriteFile(filepath.Join(template, "config"), []byte(c.templateConfig()), 0o644),
	)
}

func findProgram(name string) (string, error) {
	for _, dir := range filepath.SplitList(gitDirs) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// templateConfig is what a new repository's own configuration begins with, as
// GitLab Runner leaves it.
func (c *checkout) templateConfig() string {
	var t gitConfig
	t.section("fetch", "", "recurseSubmodules", "false")
	t.section("credential", "", "interactive", "never")
	t.section("gc", "", "autoDetach", "false")
	t.section("remote", "origin", "url", c.URL, "fetch", "+refs/heads/*:refs/remotes/origin/*")
	return t.String()
}

// globalConfig is the configuration of every git that the helper runs, in
// submodules too. Nothing in it runs what a repository brings along.
func (c *checkout) globalConfig() (string, error) {
	var g gitConfig
	g.section("init", "", "defaultBranch", "none")
	g.section("safe", "", "directory", "*")
	g.section("core", "", "hooksPath", "/dev/null", "fsmonitor", "false", "askPass", "")
	g.section("submodule", "", "recurse", "false")
	g.section("protocol", "ext", "allow", "never")
	if !strings.HasPrefix(c.URL, "file:") && !strings.HasPrefix(c.URL, "/") {
		g.section("protocol", "file", "allow", "never")
	}
	g.section("advice", "", "detachedHead", "false")
	if c.fresh {
		g.section("gc", "", "auto", "0")
		g.section("maintenance", "", "auto", "false")
	}
	if c.UserAgent != "" {
		g.section("http", "", "userAgent", c.UserAgent)
	}
	g.section("credential", "", "interactive", "never", "helper", "")
	if len(c.authority) > 0 { // for submodules of other servers, too
		g.section("http", "", "sslCAInfo", filepath.Join(c.private, gitAuthorities))
	}
	server := origin(c.URL)
	if server == "" {
		return g.String(), nil
	}
	if c.Correlation != "" {
		g.section("http", server, "extraHeader", "X-Gitaly-Correlation-ID: "+c.Correlation)
	}
	if err := c.tls(&g, server); err != nil {
		return "", err
	}
	if c.Password != "" {
		helper, err := c.storeCredential()
		if err != nil {
			return "", err
		}
		g.section("credential", server, "helper", helper)
		// git from 2.46 on spares itself the server's first "who are you?".
		g.section("http", server, "proactiveAuth", "basic")
	}
	c.forceHTTPS(&g, server)
	return g.String(), nil
}

// tls says whom git trusts, and what it shows to a server that asks who it is.
func (c *checkout) tls(g *gitConfig, server string) error {
	for _, part := range []struct{ setting, name, pem string }{
		{"sslCAInfo", gitAuthorities, c.authorities()}, {"sslCert", "client.pem", c.ClientCert}, {"sslKey", clientKeyFile, c.ClientKey},
	} {
		if part.pem == "" {
			continue
		}
		file := filepath.Join(c.private, part.name)
		if err := os.WriteFile(file, []byte(part.pem), 0o600); err != nil {
			return fmt.Errorf("set git up: %w", err)
		}
		g.section("http", server, part.setting, file)
	}
	return nil
}

// authorities are those that git trusts: GitLab's alone as a rule, since nobody else
// has its name; with the operator's, who may stand in for any server, all.
func (c *checkout) authorities() string {
	if len(c.authority) == 0 {
		return c.CA
	}
	return string(cacert.Merge(cacert.SystemBundle(), []byte(c.CA), c.authority))
}

// storeCredential writes the credentials where only the helper reads them, and
// returns git's setting for the program that hands them out.
func (c *checkout) storeCredential() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("set git up: %w", err)
	}
	c.secret = filepath.Join(c.private, "credential")
	text := "username=" + c.Username + "\npassword=" + c.Password + "\n"
	if err := os.WriteFile(c.secret, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("set git up: %w", err)
	}
	return "!" + quote(self) + " credential " + quote(c.secret), nil
}

// forceHTTPS rewrites the SSH forms of GitLab's address.
func (c *checkout) forceHTTPS(g *gitConfig, server string) {
	u, err := url.Parse(server)
	if err != nil || !c.Submodules.ForceHTTPS || !strings.HasPrefix(u.Scheme, "http") {
		return
	}
	host := u.Hostname()
	g.section("url", server+"/", "insteadOf", "git@"+host+":", "insteadOf", "ssh://git@"+host+"/", "insteadOf", "ssh://git@"+host+":22/")
}

// A gitConfig is a configuration file of git in the making.
type gitConfig struct{ strings.Builder }

var (
	configValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`)
	configName  = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
)

// section adds a section with settings, keys and values in turn.
func (g *gitConfig) section(name, sub string, settings ...string) {
	if sub == "" {
		g.WriteString("[" + name + "]\n")
	} else {
		g.WriteString("[" + name + ` "` + configName.Replace(sub) + "\"]\n")
	}
	for i := 0; i+1 < len(settings); i += 2 {
		g.WriteString("\t" + settings[i] + ` = "` + configValue.Replace(settings[i+1]) + "\"\n")
	}
}
