import 'reflect-metadata'
import { BadRequestException, Body, Controller, Get, Headers, Inject, Injectable, Module, Post, Req, UnauthorizedException, UseGuards, ValidationPipe, type CanActivate, type ExecutionContext } from '@nestjs/common'
import { JwtModule, JwtService } from '@nestjs/jwt'
import { IsString, Matches, MinLength } from 'class-validator'
import { correlationIdOf, created, EMAIL, HEALTH, JWT_SECRET, readUser, refused, register } from './work.ts'

class NewUserDto {
  @IsString() @Matches(EMAIL) email!: string
  @IsString() @MinLength(2) name!: string
}

interface AuthenticatedRequest { headers: Record<string, string | undefined>, user?: { sub: string } }

// esbuild writes no metadata of types, so dependencies and body types are given explicitly.
@Injectable()
class AuthGuard implements CanActivate {
  private readonly jwt: JwtService
  constructor (@Inject(JwtService) jwt: JwtService) { this.jwt = jwt }

  async canActivate (context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>()
    try {
      request.user = await this.jwt.verifyAsync<{ sub: string }>((request.headers['authorization'] ?? '').slice(7))
      return true
    } catch {
      throw new UnauthorizedException()
    }
  }
}

const bodyPipe = new ValidationPipe({ expectedType: NewUserDto, exceptionFactory: () => new BadRequestException(refused('Invalid input')) })

@Controller()
class UsersController {
  @Get('health')
  health () { return HEALTH }

  @Get('users/me')
  @UseGuards(AuthGuard)
  async me (@Req() request: AuthenticatedRequest) { return await readUser(request.user!.sub) }

  @Post('users')
  async create (@Body(bodyPipe) body: NewUserDto, @Headers('x-correlation-id') header: string | undefined) {
    return created(await register(body, correlationIdOf(header)))
  }
}

@Module({ imports: [JwtModule.register({ secret: JWT_SECRET })], controllers: [UsersController], providers: [AuthGuard] })
export class AppModule {}
