package config

// Affinity attracts job pods to nodes and to other pods, or keeps them away.
// The tables below it are the Kubernetes API's, in snake_case.
type Affinity struct {
	Node    NodeAffinity `toml:"node_affinity"`
	Pod     PodAffinity  `toml:"pod_affinity"`
	AntiPod PodAffinity  `toml:"pod_anti_affinity"`
}

// NodeAffinity is about labels and fields of nodes.
type NodeAffinity struct {
	Required  NodeSelector        `toml:"required_during_scheduling_ignored_during_execution"`
	Preferred []PreferredNodeTerm `toml:"preferred_during_scheduling_ignored_during_execution"`
}

// A NodeSelector matches nodes that match any of its terms.
type NodeSelector struct {
	Terms []NodeTerm `toml:"node_selector_terms"`
}

// A PreferredNodeTerm is a NodeTerm that counts.
type PreferredNodeTerm struct {
	Weight     int64    `toml:"weight"` // 1 to 100
	Preference NodeTerm `toml:"preference"`
}

// A NodeTerm matches nodes that fulfil all of its expressions.
type NodeTerm struct {
	MatchExpressions []Expression `toml:"match_expressions"`
	MatchFields      []Expression `toml:"match_fields"`
}

// An Expression compares the value of a key.
type Expression struct {
	Key      string   `toml:"key"`      // of a label; of a field in match_fields
	Operator string   `toml:"operator"` // In, NotIn, Exists, DoesNotExist; for nodes also Gt, Lt
	Values   []string `toml:"values"`   // to compare with; none for Exists and DoesNotExist
}

// PodAffinity is about other pods.
type PodAffinity struct {
	Required  []PodTerm          `toml:"required_during_scheduling_ignored_during_execution"`
	Preferred []PreferredPodTerm `toml:"preferred_during_scheduling_ignored_during_execution"`
}

// A PreferredPodTerm is a PodTerm that counts.
type PreferredPodTerm struct {
	Weight int64   `toml:"weight"` // 1 to 100
	Term   PodTerm `toml:"pod_affinity_term"`
}

// A PodTerm names pods, and the node label that says what "near" means.
type PodTerm struct {
	LabelSelector     LabelSelector `toml:"label_selector"`
	Namespaces        []string      `toml:"namespaces"`   // of the pods; none with namespace_selector empty too: the job pod's own
	TopologyKey       string        `toml:"topology_key"` // node label; nodes with the same value are near
	NamespaceSelector LabelSelector `toml:"namespace_selector"`
	MatchLabelKeys    []string      `toml:"match_label_keys"`    // labels of the job pod that the pods have to share
	MismatchLabelKeys []string      `toml:"mismatch_label_keys"` // labels of the job pod that they must not share
}

// A LabelSelector matches what fulfils all of it.
type LabelSelector struct {
	MatchLabels      map[string]string `toml:"match_labels"` // name and value
	MatchExpressions []Expression      `toml:"match_expressions"`
}
