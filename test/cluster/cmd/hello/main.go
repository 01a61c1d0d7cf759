// Command hello is all that the distroless test image holds.
package main

import "fmt"

func main() { fmt.Println("hello from an image without a shell") }
