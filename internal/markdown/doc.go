// Package markdown reads the project's documents as far as its tests need: code
// blocks, headings, links, and parts that a program writes.
package markdown
