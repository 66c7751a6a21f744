import { expect, test } from '@jest/globals'
import { isLoopback, registryHost } from './host.ts'

const none = new Set<string>()

test.each(['docker.io', 'index.docker.io', 'registry-1.docker.io'])('%s is Docker Hub, at its real address', (name) => {
  expect(registryHost(name, none)).toMatchObject({ name: 'docker.io', address: 'registry-1.docker.io' })
})

test.each(['localhost', '127.0.0.1', '127.8.9.10', '[::1]'])('%s is loopback', (name) => {
  expect(registryHost(`${name}:5000`, none).isLoopback).toBe(true)
})

test.each([
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  '127.evil.example',
  '0.0.0.0',
  '10.0.0.1',
  '[::2]',
  'my-localhost',
])('%s is not loopback', (name) => {
  expect(isLoopback(name)).toBe(false)
})

test('a registry is insecure by its name with or without the port', () => {
  expect(registryHost('r.lan:5000', new Set(['r.lan:5000'])).isInsecure).toBe(true)
  expect(registryHost('r.lan:5000', new Set(['r.lan'])).isInsecure).toBe(true)
  expect(registryHost('r.lan:5001', new Set(['r.lan:5000'])).isInsecure).toBe(false)
  expect(registryHost('docker.io', new Set(['r.lan'])).isInsecure).toBe(false)
})
