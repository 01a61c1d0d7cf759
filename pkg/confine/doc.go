// Package confine opens, creates and changes files below one directory, and
// nothing outside it, whatever is in there: it never follows a symlink and
// never goes up.
//
// A path is walked one component at a time, each opened relative to the handle
// of the one before and only if it is a folder. A [Cursor] keeps the handles of
// the last path, so that paths in sorted order cost about one system call each;
// that makes confinement as cheap as plain paths.
//
// The tree may be changed by others at the same time: a component that becomes
// a symlink is refused or was passed before, never followed. What a handle
// stands for stays what it was when it was opened, wherever somebody moves it. So
// whoever may move folders out of the tree can have entries made in them there;
// that takes rights on both places, and with these rights the same can be done
// without us.
//
// Mount points are entered like folders: who can mount is trusted.
//
// The package is for Linux only.
package confine
